//! Commands for a person to run on the node. Names come from outside, so every word is made safe for a shell, and a command is
//! left out where that cannot be.

use crate::{
    output::text,
    report::{Owner, OwnerKind},
};

/// Where the hierarchy of cgroups is mounted on a node.
const CGROUPS: &str = "/sys/fs/cgroup";
/// Seconds that a container gets to end by itself.
const GRACE: &str = "30";

/// A word of a command; `None` where it holds what a terminal or a shell may act upon.
#[must_use]
pub fn word(text: &str) -> Option<String> {
    if text.is_empty() || text.starts_with('-') || text.chars().any(text::is_hostile) {
        return None;
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if text.chars().all(plain) {
        return Some(text.to_owned());
    }
    Some(format!("'{}'", text.replace('\'', r"'\''")))
}

/// Ends one container, one unit or one process; what watches over it starts it anew.
#[must_use]
pub fn restart(owner: &Owner) -> Option<String> {
    match owner.kind {
        OwnerKind::Pod | OwnerKind::Container => {
            let id = word(owner.container_id.as_deref()?)?;
            let path = owner.cgroup_path.as_deref().unwrap_or_default();
            Some(if path.contains("docker") {
                format!("docker restart --time {GRACE} {id}")
            } else if path.contains("libpod") {
                format!("podman restart --time {GRACE} {id}")
            } else {
                format!("crictl stop --timeout {GRACE} {id}")
            })
        }
        OwnerKind::SystemdUnit => Some(format!(
            "systemctl restart {}",
            word(owner.systemd_unit.as_deref()?)?
        )),
        OwnerKind::Process => Some(format!("kill -TERM {}", owner.process_pid?)),
        OwnerKind::Cgroup
        | OwnerKind::Kernel
        | OwnerKind::Unattributed
        | OwnerKind::Other
        | OwnerKind::Unknown => None,
    }
}

/// Deletes a pod; its controller makes another one.
#[must_use]
pub fn delete_pod(owner: &Owner) -> Option<String> {
    let namespace = word(owner.k8s_namespace_name.as_deref()?)?;
    let pod = word(owner.k8s_pod_name.as_deref()?)?;
    Some(format!("kubectl delete pod --namespace {namespace} {pod}"))
}

/// Runs a command in the network namespace of an owner.
#[must_use]
pub fn within(owner: &Owner, command: &str) -> Option<String> {
    let pid = pid(owner)?;
    Some(format!("nsenter --target {pid} --net {command}"))
}

/// A process of an owner: its number, or what a shell puts in its place.
#[must_use]
pub fn pid(owner: &Owner) -> Option<String> {
    if let Some(pid) = owner.process_pid {
        return Some(pid.to_string());
    }
    match owner.kind {
        OwnerKind::SystemdUnit => Some(format!(
            "$(systemctl show --property MainPID --value {})",
            word(owner.systemd_unit.as_deref()?)?
        )),
        _ => {
            let file = word(&format!(
                "{CGROUPS}{}/cgroup.procs",
                owner.cgroup_path.as_deref().filter(|path| *path != "/")?
            ))?;
            // The cgroup of a pod has its processes below it.
            let below = word(&format!("{CGROUPS}{}", owner.cgroup_path.as_deref()?))?;
            Some(if owner.container_id.is_some() {
                format!("$(head -1 {file})")
            } else {
                format!("$(find {below} -name cgroup.procs -exec cat {{}} + | head -1)")
            })
        }
    }
}

/// A file of an owner's cgroup.
#[must_use]
pub fn cgroup_file(owner: &Owner, file: &str) -> Option<String> {
    let path = owner.cgroup_path.as_deref().filter(|path| *path != "/")?;
    word(&format!("{CGROUPS}{path}/{file}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_safe_or_left_out() {
        assert_eq!(word("web-7.x_y").as_deref(), Some("web-7.x_y"));
        assert_eq!(word("a b;c").as_deref(), Some("'a b;c'"));
        assert_eq!(word("it's").as_deref(), Some(r"'it'\''s'"));
        for bad in ["", "-rf", "a\u{1b}[2J", "a\nb"] {
            assert_eq!(word(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn each_kind_has_its_own_restart() {
        let owner = |kind| Owner {
            kind,
            container_id: Some("abc".into()),
            systemd_unit: Some("db.service".into()),
            process_pid: Some(7),
            ..Owner::default()
        };
        for (kind, want) in [
            (OwnerKind::Pod, Some("crictl stop --timeout 30 abc")),
            (OwnerKind::SystemdUnit, Some("systemctl restart db.service")),
            (OwnerKind::Process, Some("kill -TERM 7")),
            (OwnerKind::Cgroup, None),
            (OwnerKind::Unknown, None),
        ] {
            assert_eq!(restart(&owner(kind)).as_deref(), want);
        }
        let docker = Owner {
            cgroup_path: Some("/system.slice/docker-abc.scope".into()),
            ..owner(OwnerKind::Container)
        };
        assert_eq!(
            restart(&docker).as_deref(),
            Some("docker restart --time 30 abc")
        );
        // Two containers of a pod are summed: which of them is not known.
        let pod = Owner {
            container_id: None,
            k8s_namespace_name: Some("shop".into()),
            k8s_pod_name: Some("web".into()),
            ..owner(OwnerKind::Pod)
        };
        assert_eq!(restart(&pod), None);
        assert_eq!(
            delete_pod(&pod).as_deref(),
            Some("kubectl delete pod --namespace shop web")
        );
    }
}
