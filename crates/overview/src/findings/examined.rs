//! What only the doctor examines: the directories, codex, and the provider's answer.

use records::Slot;
use records::probe::ProbeResult;
use records::remedy;

use crate::finding::{Finding, Id};
use crate::observed::{Directory, Observed};

pub(super) fn volume(observed: &Observed) -> Vec<Finding> {
    let Some(examined) = &observed.examined else { return Vec::new() };
    let not_tried = examined.not_tried.iter().map(|why| {
        Finding::new(Id::VolumeNotTried, why)
            .advise("mount it writable for this user (fsGroup), or end the command that holds it")
    });
    not_tried.chain(examined.directories.iter().flat_map(directory)).collect()
}

fn directory(directory: &Directory) -> Vec<Finding> {
    let path = directory.path.display();
    if directory.is_projected {
        let message =
            format!("{path} is a Secret or a ConfigMap, which the kubelet overwrites: logins would be lost");
        return vec![
            Finding::new(Id::VolumeProjected, message).advise("mount a PersistentVolumeClaim there"),
        ];
    }
    let faults = directory.faults.iter().map(|fault| {
        let advice = if fault.is_of_its_kind {
            "use a volume of another storage class"
        } else {
            "mount it writable for this user (fsGroup), or make room"
        };
        Finding::new(Id::VolumeFault, format!("{path} {}", fault.message)).advise(advice)
    });
    let full = (directory.is_tried && !directory.has_room).then(|| {
        Finding::new(Id::VolumeFull, format!("{path} is full"))
            .advise(format!("look at df -h {path}, and make room"))
    });
    faults.chain(full).collect()
}

pub(super) fn codex(observed: &Observed) -> Option<Finding> {
    let name = observed.examined.as_ref()?.codex.as_ref().err()?;
    let message = format!("no codex program \"{name}\": no account can sign in from here");
    Some(Finding::new(Id::CodexMissing, message).advise("install codex, or set CODEX_BIN to its path"))
}

pub(super) fn provider(observed: &Observed) -> impl Iterator<Item = Finding> {
    let probed = observed.examined.iter().flat_map(|examined| &examined.probed);
    probed.filter_map(|(slot, result)| probe(*slot, result))
}

fn probe(slot: Slot, result: &ProbeResult) -> Option<Finding> {
    match result {
        ProbeResult::Accepted(..) => None,
        ProbeResult::Refused(code) => {
            let message = format!("the provider refuses {slot} ({code})");
            Some(Finding::new(Id::TokenRefused, message).of(slot).run(remedy::login(slot)))
        }
        ProbeResult::Unknown(why) => {
            let message = format!("it is not known whether the provider accepts {slot} ({why})");
            Some(
                Finding::new(Id::ProviderUnknown, message)
                    .of(slot)
                    .advise("look at the network, HTTPS_PROXY and SSL_CERT_FILE, and try again"),
            )
        }
    }
}
