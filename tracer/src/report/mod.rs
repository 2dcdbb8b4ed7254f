//! The public model: the only thing that is serialised.
