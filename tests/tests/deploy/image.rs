//! The image is the static program and nothing else. Structure alone is checked here: what builds it is whatever one has.

use super::text;

#[test]
fn the_image_is_the_program_alone() {
    let file = text("Containerfile").replace("\\\n", " ");
    let lines = file
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let instructions: Vec<(&str, &str)> = lines.map(|line| line.split_once(' ').unwrap()).collect();
    let of = |name: &str| -> Vec<&str> {
        let all = instructions.iter().filter(|(found, _)| *found == name);
        all.map(|(_, rest)| *rest).collect()
    };
    assert_eq!(of("FROM"), ["scratch"]);
    assert_eq!(of("COPY"), ["--chmod=0755 tcpress /usr/bin/tcpress"]);
    assert_eq!(of("ENTRYPOINT"), ["[\"/usr/bin/tcpress\"]"]);
    for (name, _) in instructions {
        // Nothing runs and nothing is fetched while it is built.
        assert!(
            ["FROM", "LABEL", "ENV", "COPY", "USER", "ENTRYPOINT", "CMD"].contains(&name),
            "{name}"
        );
    }
}
