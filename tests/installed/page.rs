//! The page in a real browser: on a phone, by day and by night, live, and without scripts.

use std::env;
use std::fs;
use std::process::Command;

use fixture::wait_until;
use fixture::workspace::{repository, shipped};
use serde_json::{Value, json};

use crate::browser::{Browser, Screen};
use crate::served::Served;

const DESK: Screen = Screen { width: 1100, height: 1010, is_phone: false };
const PHONE: Screen = Screen { width: 360, height: 740, is_phone: true };

/// The commands that a page shows, each with what its button copies.
const COMMANDS: &str = "[...document.querySelectorAll('.problem:not(.note)')].map(problem => \
     [problem.querySelector('code').innerText, problem.querySelector('button').dataset.copy])";

const SIGN_IN_3: &str = "kubectl exec -it deploy/litellm -c codex-cli -- auth-login 3";

/// How many problems the page that was served has a command for.
fn problems(served: &Served) -> usize {
    let problems = served.get("/").matches("<section class=\"problem\">").count();
    assert!(problems >= 3, "account 3 needs a login, 6 is broken, 7 is there twice: {problems}");
    problems
}

#[test]
fn it_keeps_itself_up_to_date() {
    let served = Served::every_state();
    let browser = Browser::start().on(DESK);
    browser.open(&served.url);
    let text = || browser.look("document.body.innerText").as_str().unwrap().to_owned();
    wait_until("a script says that the page is live", || text().contains("live · "));
    assert!(text().contains("a…@example.test") && !text().contains("ann@example.test"), "{}", text());
    assert!(!text().contains("parked: kept for the demo"), "{}", text());

    browser.look("window.loadedOnce = true");
    let park = Command::new(shipped("accounts"))
        .args(["park", "10", "--reason", "kept for the demo"])
        .env_clear()
        .env("CHATGPT_AUTH_DIR", served.volume.path())
        .output()
        .unwrap();
    assert!(park.status.success(), "{}", String::from_utf8_lossy(&park.stderr));
    wait_until("the page shows what changed", || text().contains("account-10 parked: kept for the demo"));
    assert_eq!(browser.look("window.loadedOnce"), true, "the same page, never loaded again");

    drop(served);
    wait_until("the page says that it is not", || text().contains("not live: the server cannot be reached"));
}

#[test]
fn on_a_phone_nothing_sticks_out_and_every_command_can_be_read_and_copied() {
    let served = Served::every_state();
    for width in [320, PHONE.width, 500] {
        let browser = Browser::start().on(Screen { width, ..PHONE });
        browser.open(&served.url);
        // The width of a phone's window grows with what does not fit into it, so it is no measure.
        let widest = browser.look("document.scrollingElement.scrollWidth");
        assert!(widest.as_u64().unwrap() <= width.into(), "{widest} of {width} px");
        let hidden = browser.look(&format!(
            "[...document.querySelectorAll('.problem:not(.note) :is(code, button)')].filter(element => {{
                const box = element.getBoundingClientRect();
                const isWhole = element.scrollWidth <= element.clientWidth && box.left >= 0 && box.right <= {width};
                return !(isWhole && box.height >= 24 && element.checkVisibility());
            }}).map(element => element.outerHTML)"
        ));
        assert_eq!(hidden, json!([]), "{width} px");
        assert_eq!(browser.look(COMMANDS).as_array().unwrap().len(), problems(&served));
    }
}

#[test]
fn a_button_copies_its_command_with_and_without_the_browsers_leave() {
    const READ: &str = "clipboardReadWrite";
    const WRITE: &str = "clipboardSanitizedWrite";
    let served = Served::every_state();
    let browser = Browser::start().on(PHONE);
    // A page that does not come from this very machine has no clipboard unless it comes by TLS.
    let elsewhere = served.url.replace("127.0.0.1", "accounts.test");
    for (url, permitted, may_write) in [
        (&served.url, [READ, WRITE].as_slice(), json!("granted")),
        (&served.url, &[READ], json!("denied")),
        (&elsewhere, &[READ, WRITE], json!("no clipboard")),
    ] {
        browser.permit(&[READ, WRITE]);
        browser.open(&served.url);
        browser.look("navigator.clipboard.writeText('nothing yet')");

        browser.permit(permitted);
        browser.open(url);
        let state = "navigator.permissions.query({name: 'clipboard-write'}).then(leave => leave.state)";
        let state = browser.look(&format!("navigator.clipboard ? {state} : 'no clipboard'"));
        assert_eq!(state, may_write, "{url}");
        let button = format!("button[data-copy='{SIGN_IN_3}']");
        browser.click(&button);
        let label = format!("document.querySelector(\"{button}\").innerText");
        wait_until("the button says so", || browser.look(&label) == "Copied");

        browser.open(&served.url);
        assert_eq!(browser.look("navigator.clipboard.readText()"), SIGN_IN_3, "{url}, {may_write}");
    }
}

#[test]
fn without_scripts_the_table_and_the_commands_are_there_and_the_page_loads_itself_again() {
    let served = Served::every_state();
    let browser = Browser::start().on(PHONE).without_scripts();
    browser.open(&served.url);
    assert_eq!(browser.look("document.getElementById('live').innerText"), "", "a script ran");
    assert_eq!(browser.look("document.querySelectorAll('tbody tr').length"), 12);
    let commands = browser.look(COMMANDS);
    assert_eq!(commands.as_array().unwrap().len(), problems(&served));
    assert!(commands.as_array().unwrap().contains(&json!([SIGN_IN_3, SIGN_IN_3])), "{commands}");
    let buttons =
        "[...document.querySelectorAll('button')].filter(button => button.checkVisibility()).length";
    assert_eq!(browser.look(buttons), 0, "a button that would do nothing");
    assert_eq!(browser.look("document.querySelector('meta[http-equiv=refresh]').content"), "10");
}

/// Every text that is seen, with its colour and what is behind it.
const COLOURS: &str = "(() => {
    const behind = element => {
        for (; element; element = element.parentElement) {
            const colour = getComputedStyle(element).backgroundColor;
            if (colour !== 'rgba(0, 0, 0, 0)') return colour;
        }
        return 'none';
    };
    const said = element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    return [...document.body.querySelectorAll('*')].filter(element => said(element) && element.checkVisibility())
        .map(element => [element.innerText, getComputedStyle(element).color, behind(element)]);
})()";

#[test]
fn by_day_and_by_night_every_text_stands_out_as_wcag_asks() {
    let served = Served::every_state();
    let browser = Browser::start().on(DESK);
    for (scheme, is_light) in [("light", true), ("dark", false)] {
        browser.prefer(scheme);
        browser.open(&served.url);
        let page = browser.look("getComputedStyle(document.body).backgroundColor");
        assert_eq!(luminance(&page) > 0.5, is_light, "{scheme}: {page}");
        let texts = browser.look(COLOURS);
        let texts = texts.as_array().unwrap();
        assert!(texts.len() > 50, "{texts:?}");
        for text in texts {
            let ratio = contrast(&text[1], &text[2]);
            assert!(ratio >= 4.5, "{scheme}: {ratio:.2} of {text}");
        }
    }
}

/// The contrast ratio of two colours, as WCAG 2 defines it.
fn contrast(one: &Value, other: &Value) -> f64 {
    let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
    f64::max(one / other, other / one)
}

/// The relative luminance of an opaque `rgb(…)`, as WCAG 2 defines it.
fn luminance(colour: &Value) -> f64 {
    let text = colour.as_str().unwrap();
    let parts = text.strip_prefix("rgb(").and_then(|rest| rest.strip_suffix(')'));
    let parts = parts.unwrap_or_else(|| panic!("{text} is not opaque")).split(", ");
    let linear = |part: &str| {
        let part = part.parse::<f64>().unwrap() / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    parts.map(linear).zip([0.2126, 0.7152, 0.0722]).map(|(part, weight)| part * weight).sum()
}

#[test]
fn contrast_is_counted_as_wcag_does() {
    let ratio = |one: &str, other: &str| contrast(&one.into(), &other.into());
    assert!((ratio("rgb(0, 0, 0)", "rgb(255, 255, 255)") - 21.0).abs() < 0.001);
    // The two greys between which white's threshold lies.
    assert!(ratio("rgb(118, 118, 118)", "rgb(255, 255, 255)") >= 4.5);
    assert!(ratio("rgb(119, 119, 119)", "rgb(255, 255, 255)") < 4.5);
}

/// The pictures in the docs are taken of this page: `UPDATE_SNAPSHOTS=1` takes them anew.
#[test]
fn it_can_be_pictured() {
    let served = Served::every_state_and_usage();
    let phone = Screen { width: 500, ..PHONE };
    for (name, screen, scheme) in [("page-light", DESK, "light"), ("page-dark-phone", phone, "dark")] {
        let browser = Browser::start().on(screen);
        browser.prefer(scheme);
        browser.open(&served.url);
        // The whole page, however many accounts there are.
        let height = browser.look("document.scrollingElement.scrollHeight").as_u64().unwrap();
        let picture = browser.on(Screen { height: height.try_into().unwrap(), ..screen }).picture();
        assert!(picture.starts_with(b"\x89PNG") && picture.len() > 20_000, "{name}: {} bytes", picture.len());
        let kept = repository().join("docs").join(name).with_extension("png");
        if env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::write(&kept, picture).unwrap();
        }
        assert!(kept.exists(), "no {}: run this test with UPDATE_SNAPSHOTS=1", kept.display());
    }
}
