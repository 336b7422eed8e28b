//! A backup that is laid over a volume whose logins have been refreshed since.

use fixture::{ANN, BEN};

use crate::faults::backup::Backup;
use crate::faults::figures::Figures;
use crate::faults::judge::Case;
use crate::faults::volume::Volume;

#[test]
fn a_backup_is_laid_over_the_volume() {
    let mut figures = Figures::of("a backup is laid over the volume");
    let cases: Vec<_> =
        [1, 2, 5].into_iter().flat_map(|refreshes| [false, true].map(|end| (refreshes, end))).collect();
    figures.each(cases, |(refreshes, has_ended), figures| restored(refreshes, has_ended, figures));
    figures.print("");
}

/// Whether the access tokens in the backup have ended by then is the second.
fn restored(refreshes: usize, has_ended: bool, figures: &mut Figures) {
    let volume = Volume::new();
    volume.put_login_for(1, ANN, 3600);
    volume.put_login_for(2, BEN, 3600);
    assert!(volume.pass(&["--refresh-before", "0s"]).status.success());
    if has_ended {
        volume.end_access_token(1);
        volume.end_access_token(2);
    }
    let backup = Backup::of(&volume);
    for _ in 0..refreshes {
        for slot in ["1", "2"] {
            assert!(volume.accounts(&["refresh", slot, "--yes"]).status.success());
        }
    }
    let newest = [1, 2].map(|slot| volume.refresh_token(slot));
    backup.lay_over(&volume);
    figures.struck += 1;
    let name = format!("after {refreshes} refreshes, access tokens ended: {has_ended}");
    let served = volume.bytes("auth.json");
    let case = Case { volume: &volume, name, served, may_be_lost_on_the_wire: false };
    let asked = volume.openai.requests_to("/oauth/token").len();
    for _ in 0..3 {
        let output = volume.pass(&[]);
        case.at_once(&output, figures);
        // None is served whose access token has ended.
        if output.status.code() != Some(if has_ended { 69 } else { 0 }) {
            case.complain(figures, &String::from_utf8_lossy(&output.stderr));
        }
        volume.end_pause();
    }
    let by_hand = volume.accounts(&["refresh", "1", "--yes"]);
    case.at_once(&by_hand, figures);
    if by_hand.status.success() {
        case.complain(figures, "a grant that is known as used up was sent by hand");
    }
    case.no_grant_was_sent_twice(figures);
    let sent = volume.openai.requests_to("/oauth/token").len() - asked;
    if sent > 0 {
        case.complain(figures, &format!("{sent} requests were sent with the backup's grants"));
    }
    // The newest are on no disk any more, which is what the backup has done; but they still work.
    for token in newest {
        if !volume.openai.refreshable(&token).good {
            figures.refresh_tokens_lost += 1;
            case.complain(figures, "the newest token works no more");
        }
    }
    for args in [&[][..], &["doctor"]] {
        let said = String::from_utf8(volume.accounts(args).stdout).unwrap();
        for slot in [1, 2] {
            if !said.contains(&format!("auth-login {slot}")) || !said.contains("needs login") {
                case.complain(
                    figures,
                    &format!("accounts {args:?} does not say that {slot} needs a login: {said}"),
                );
            }
        }
    }
}
