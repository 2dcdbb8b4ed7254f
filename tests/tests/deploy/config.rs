//! The agent takes the configurations that lie here, and the address that the pod gives it.

use tracer::agent::config::{Config, LogFormat};

use super::{document, strings, text};

#[test]
fn the_agent_takes_both_configurations() {
    let unit = Config::parse(&text("systemd/agent.toml")).expect("a configuration");
    let pod = Config::parse(&text("kubernetes/agent/agent.toml")).expect("a configuration");
    assert_eq!(pod.log.format, LogFormat::Json);
    // What stands there for whoever reads it is the default.
    assert_eq!(unit.http.listen, pod.http.listen);
}

#[test]
fn it_listens_where_the_pod_is() {
    let set = document("kubernetes/agent/daemonset.yaml");
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    let arguments = strings(&container["args"]);
    let given = arguments.iter().find_map(|it| it.strip_prefix("--set="));
    let (key, value) = given.unwrap().split_once('=').unwrap();
    // As Kubernetes puts the address in.
    for (address, listens) in [
        ("192.0.2.7", "192.0.2.7:9943"),
        ("2001:db8::7", "[2001:db8::7]:9943"),
    ] {
        let given = (key.to_owned(), value.replace("$(POD_IP)", address));
        let toml = text("kubernetes/agent/agent.toml");
        let config = Config::parse_with(&toml, &[given]).expect("an address");
        assert_eq!(config.http.listen.unwrap().to_string(), listens);
    }
}
