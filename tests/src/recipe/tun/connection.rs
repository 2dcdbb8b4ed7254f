//! One connection of the client.

/// Segments one connection may send before the next has its turn in `feed`.
pub(super) const BURST: usize = 16;

/// One connection as this side sees it. Offsets count payload bytes from the start of the stream, so they never wrap.
pub(super) struct Connection {
    pub(super) port: u16,
    pub(super) isn: u32,
    pub(super) established: bool,
    pub(super) reset: bool,
    /// Next byte that the server expects of us.
    pub(super) acknowledged: u32,
    /// Next offset of the stream to send.
    pub(super) next: u32,
    /// Where the stream ends, once it does.
    pub(super) end: Option<u32>,
    /// Whether the server has acknowledged the end.
    pub(super) closed: bool,
    /// Next sequence number expected from the server.
    pub(super) expected: u32,
    /// Bytes of payload from the server.
    pub(super) received: u32,
    /// Segments from the server without payload.
    pub(super) answers: u32,
    /// Segments it may send in one turn of `feed`: few after a refusal, so that a full server is asked, not flooded.
    pub(super) burst: usize,
    /// Window that the server announced last, scaled.
    pub(super) window: u32,
    pub(super) scale: u8,
}

impl Connection {
    pub(super) fn new(port: u16, isn: u32) -> Self {
        Self {
            port,
            isn,
            established: false,
            reset: false,
            acknowledged: 0,
            next: 0,
            end: None,
            closed: false,
            expected: 0,
            received: 0,
            answers: 0,
            burst: BURST,
            window: 0,
            scale: 0,
        }
    }

    pub(super) fn sequence(&self, offset: u32) -> u32 {
        self.isn.wrapping_add(1).wrapping_add(offset)
    }
}
