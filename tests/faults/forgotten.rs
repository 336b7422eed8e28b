//! The state is lost: deleted, torn, or an older one, between two passes and while the issuer is asked.

use std::fs;
use std::process::Stdio;

use fixture::wait_until;
use fixture::{ANN, BEN, LONG};
use stand_in::OauthFault;

use crate::faults::figures::Figures;
use crate::faults::judge::Case;
use crate::faults::volume::Volume;

const STATE: &str = "rotator_state.json";

/// How a state is lost, given one from before.
type Loss = fn(&Volume, &[u8]);

const LOSSES: [(&str, Loss); 5] = [
    ("deleted", |volume, _| drop(fs::remove_file(volume.file(STATE)))),
    ("torn", |volume, _| volume.write(STATE, "{")),
    ("emptied", |volume, _| volume.write(STATE, "")),
    ("of before", |volume, before| volume.write(STATE, before)),
    ("of others", |volume, _| {
        volume.write(STATE, r#"{"version": 1, "accounts": [{"account_id": "acct-eve"}]}"#);
    }),
];

/// What comes of the first refresh, and whether the grant may be used up by it.
fn faults() -> [(OauthFault, bool); 5] {
    [
        (OauthFault::DelayMs(150), false),
        (OauthFault::CloseAfterConsuming, true),
        (OauthFault::HalfAnswer, true),
        (OauthFault::CloseBeforeAnswer, true),
        (OauthFault::TerminalCode("refresh_token_expired".to_owned()), true),
    ]
}

#[test]
fn the_state_is_lost_at_any_point() {
    let mut figures = Figures::of("the state is lost at any point");
    let cases = LOSSES.into_iter().flat_map(|loss| faults().map(|fault| (loss, fault)));
    let cases: Vec<_> =
        cases.flat_map(|case| [false, true].map(|under_way| (case.clone(), under_way))).collect();
    figures.each(cases, |((loss, (fault, is_over)), under_way), figures| {
        lost(loss, &fault, is_over, under_way, figures);
    });
    figures.print("");
}

fn lost(
    (name, loss): (&str, Loss),
    fault: &OauthFault,
    is_over: bool,
    under_way: bool,
    figures: &mut Figures,
) {
    let volume = Volume::new();
    volume.put_login_for(1, ANN, 3600);
    volume.put_login_for(2, BEN, LONG);
    // Each refresh gives a token that is due again at once.
    volume.lifetime(ANN, 3600);
    assert!(volume.pass(&["--refresh-before", "0s"]).status.success());
    let before = volume.bytes(STATE);
    let when = if under_way { "during" } else { "between" };
    let name = format!("{name}, {when} passes, {fault:?}");
    let served = volume.bytes("auth.json");
    let case = Case { volume: &volume, name, served, may_be_lost_on_the_wire: is_over };
    let judged = |output, figures: &mut Figures| {
        case.at_once(&output, figures);
        if !output.status.success() {
            case.complain(figures, &String::from_utf8_lossy(&output.stderr));
        }
    };

    volume.openai.oauth_fault(fault.clone());
    let mut pass = volume.rotate_once();
    let pass = pass.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if under_way {
        wait_until("the issuer is asked", || volume.refreshes_of(ANN) == 1);
        loss(&volume, &before);
    }
    judged(pass.wait_with_output().unwrap(), figures);
    volume.openai.oauth_fault(OauthFault::None);
    for _ in 0..3 {
        loss(&volume, &before);
        figures.struck += 1;
        judged(volume.pass(&[]), figures);
    }
    case.no_grant_was_sent_twice(figures);
    if is_over {
        let standing = volume.openai.refreshable(&volume.refresh_token(1));
        figures.lost_on_the_wire += usize::from(standing.why == "spent");
        if volume.refreshes_of(ANN) != 1 {
            case.complain(figures, &format!("asked about {} times", volume.refreshes_of(ANN)));
        }
    } else {
        case.once_mended(figures);
    }
}
