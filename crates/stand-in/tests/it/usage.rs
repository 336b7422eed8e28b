//! Usage that grows with each request, and what a client can read of it.

use std::thread::sleep;
use std::time::Duration;

use serde_json::json;
use stand_in::{AccountRequest, Behaviour, Place, RefusalRequest, StandIn, UsageRequest, Way, WindowRequest};

use crate::client::{ANN, BEN, ask_for, ask_for_usage, header, json_of};

const SOL: &str = "gpt-5.6-sol";
const SPARK: &str = "gpt-5.3-codex-spark";

fn growing(minutes: i64, used: f64, each: f64, resets_in_seconds: i64) -> WindowRequest {
    WindowRequest {
        minutes,
        used_percent: Some(used),
        percent_per_request: Some(each),
        resets_in_seconds: Some(resets_in_seconds),
    }
}

fn windows(email: &str, windows: &[WindowRequest]) -> UsageRequest {
    UsageRequest { email: email.to_owned(), windows: Some(windows.to_vec()), ..UsageRequest::default() }
}

#[test]
fn requests_fill_the_windows_until_one_is_full_and_it_empties_at_its_reset() {
    let stand_in = StandIn::start();
    let ann = stand_in.sign_in(ANN);
    let usage =
        stand_in.limit(&windows(ANN, &[growing(300, 0.0, 25.0, 600), growing(10_080, 40.0, 30.0, 2)]));
    let week_ends = usage.windows[1].resets_at;

    let shown: Vec<_> = (0..2)
        .map(|_| {
            let answer = ask_for(&stand_in, &ann, SOL);
            assert_eq!(answer.status(), 200);
            ["x-codex-primary-used-percent", "x-codex-secondary-used-percent"]
                .map(|name| header(&answer, name).unwrap().to_owned())
        })
        .collect();
    assert_eq!(shown, [["0.0", "40.0"], ["25.0", "70.0"]], "a stream's headers leave before it is counted");

    let mut refused = ask_for(&stand_in, &ann, SOL);
    assert_eq!(refused.status(), 429);
    assert_eq!(header(&refused, "x-codex-primary-used-percent"), Some("50.0"));
    assert_eq!(header(&refused, "x-codex-secondary-used-percent"), Some("100.0"));
    assert_eq!(header(&refused, "x-codex-secondary-window-minutes"), Some("10080"));
    let error = &json_of(&mut refused)["error"];
    assert_eq!([&error["type"], &error["resets_at"]], [&json!("usage_limit_reached"), &json!(week_ends)]);
    assert!(error["resets_in_seconds"].as_i64().unwrap() <= 2);

    sleep(Duration::from_millis(2_500));
    let served = ask_for(&stand_in, &ann, SOL);
    assert_eq!(served.status(), 200, "the week is over");
    assert_eq!(header(&served, "x-codex-secondary-used-percent"), Some("0.0"));
    let usage = stand_in.usage(ANN);
    assert!((usage.windows[1].used_percent - 30.0).abs() < 1e-9);
    assert_eq!(usage.windows[1].resets_at, week_ends + 10_080 * 60);
}

#[test]
fn a_week_may_be_the_only_window() {
    let stand_in = StandIn::start();
    let ann = stand_in.sign_in(ANN);
    stand_in.limit(&windows(ANN, &[WindowRequest { minutes: 10_080, ..WindowRequest::default() }]));
    let answer = ask_for(&stand_in, &ann, SOL);
    assert_eq!(header(&answer, "x-codex-primary-window-minutes"), Some("10080"));
    assert_eq!(header(&answer, "x-codex-primary-used-percent"), Some("42.0"), "as it was");
    assert_eq!(header(&answer, "x-codex-secondary-window-minutes"), None);
    let usage = json_of(&mut ask_for_usage(&stand_in, &ann));
    assert_eq!(usage["rate_limit"]["primary_window"]["limit_window_seconds"], 604_800);
    assert_eq!(usage["rate_limit"]["secondary_window"], json!(null));
}

#[test]
fn a_thousand_small_steps_are_a_full_window_and_never_shown_as_one_before() {
    let stand_in = StandIn::start();
    let ann = stand_in.sign_in(ANN);
    stand_in.limit(&windows(ANN, &[growing(300, 99.0, 0.01, 600)]));
    let answers: Vec<_> = (0..101).map(|_| ask_for(&stand_in, &ann, SOL)).collect();
    assert!(answers[..100].iter().all(|answer| answer.status() == 200));
    assert_eq!(header(&answers[99], "x-codex-primary-used-percent"), Some("99.9"));
    assert_eq!(answers[100].status(), 429);
}

#[test]
fn a_family_of_limits_counts_and_refuses_for_its_models_only() {
    let stand_in = StandIn::start();
    let ann = stand_in.sign_in(ANN);
    stand_in.account(&AccountRequest {
        email: ANN.to_owned(),
        plan: Some("pro".to_owned()),
        ..AccountRequest::default()
    });
    stand_in.limit(&UsageRequest {
        family: Some("codex_bengalfox".to_owned()),
        limit_name: Some("GPT-5.3-Codex-Spark".to_owned()),
        models: Some(vec![SPARK.to_owned()]),
        ..windows(ANN, &[growing(300, 50.0, 50.0, 900)])
    });
    let sol = ask_for(&stand_in, &ann, SOL);
    assert_eq!(header(&sol, "x-codex-plan-type"), Some("pro"));
    assert_eq!(header(&sol, "x-codex-active-limit"), Some("premium"));
    assert_eq!(header(&sol, "x-codex-primary-used-percent"), Some("12.0"));
    assert_eq!(header(&sol, "x-codex-bengalfox-limit-name"), Some("GPT-5.3-Codex-Spark"));
    assert_eq!(header(&sol, "x-codex-bengalfox-primary-used-percent"), Some("50.0"));

    let spark = ask_for(&stand_in, &ann, SPARK);
    assert_eq!(spark.status(), 200);
    assert_eq!(header(&spark, "x-codex-active-limit"), Some("codex_bengalfox"));
    assert_eq!(header(&spark, "x-codex-primary-used-percent"), Some("50.0"), "the plain headers are Spark's");

    let refused = ask_for(&stand_in, &ann, SPARK);
    assert_eq!(refused.status(), 429);
    assert_eq!(header(&refused, "x-codex-active-limit"), Some("codex_bengalfox"));
    assert_eq!(header(&refused, "x-codex-bengalfox-primary-used-percent"), Some("100.0"));
    assert_eq!(ask_for(&stand_in, &ann, SOL).status(), 200);

    let usage = json_of(&mut ask_for_usage(&stand_in, &ann));
    assert_eq!(usage["plan_type"], "pro");
    assert_eq!(usage["rate_limit"]["limit_reached"], false);
    let family = &usage["additional_rate_limits"][0];
    assert_eq!(
        [&family["limit_name"], &family["metered_feature"]],
        ["GPT-5.3-Codex-Spark", "codex_bengalfox"]
    );
    assert_eq!(family["rate_limit"]["limit_reached"], true);
    assert_eq!(family["rate_limit"]["primary_window"]["used_percent"], 100.0);
}

#[test]
fn a_refusal_for_a_limit_is_logged_with_the_accounts_that_had_quota() {
    let stand_in = StandIn::start();
    let (ann, ben) = (stand_in.sign_in(ANN), stand_in.sign_in(BEN));
    stand_in.account(&AccountRequest { email: "cem@example.test".to_owned(), ..AccountRequest::default() });
    stand_in.limit(&windows(ANN, &[growing(300, 100.0, 1.0, 600)]));
    let needlessly = || {
        let request = stand_in.requests().pop().unwrap();
        (request.was_refused_needlessly(), request.turn.unwrap().quota_elsewhere)
    };

    assert_eq!(ask_for(&stand_in, &ann, SOL).status(), 429);
    assert_eq!(needlessly(), (true, vec![BEN.to_owned()]), "nobody is signed in to cem's account");

    stand_in.refuse(RefusalRequest {
        way: Way::UsageLimitReached,
        email: Some(BEN.to_owned()),
        model: Some(SPARK.to_owned()),
        ..RefusalRequest::default()
    });
    assert_eq!(ask_for(&stand_in, &ann, SOL).status(), 429);
    assert!(needlessly().0, "ben is capped on another model");
    assert_eq!(ask_for(&stand_in, &ann, SPARK).status(), 429);
    assert!(!needlessly().0);

    assert_eq!(ask_for(&stand_in, &ben, SOL).status(), 200);
    assert!(!needlessly().0, "it was served");
    stand_in.set(BEN, Behaviour::Capped);
    assert_eq!(ask_for(&stand_in, &ann, SOL).status(), 429);
    assert!(!needlessly().0);
}

#[test]
fn the_usage_endpoint_refuses_on_demand_and_logs_who_asks() {
    let stand_in = StandIn::start();
    let ann = stand_in.sign_in(ANN);
    let at_usage =
        |way, times| RefusalRequest { way, place: Place::Usage, times, ..RefusalRequest::default() };
    stand_in.refuse(RefusalRequest { retry_after: Some("90".to_owned()), ..at_usage(Way::NoBody, Some(1)) });
    let refused = ask_for_usage(&stand_in, &ann);
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, Some("90")));
    assert_eq!(ask_for_usage(&stand_in, &ann).status(), 200, "once was asked for");

    stand_in.refuse(at_usage(Way::Challenge, None));
    let mut refused = ask_for_usage(&stand_in, &ann);
    assert_eq!(refused.status(), 403);
    assert!(refused.body_mut().read_to_string().unwrap().contains("Just a moment..."));
    assert_eq!(ask_for(&stand_in, &ann, SOL).status(), 200, "the model is another place");
    stand_in.refuse(at_usage(Way::None, None));
    stand_in.set(ANN, Behaviour::Invalidated);
    assert_eq!(ask_for_usage(&stand_in, &ann).status(), 401);

    let asked = stand_in.requests_to("/backend-api/wham/usage");
    let logged: Vec<_> = asked.iter().map(|it| (it.status.unwrap(), it.error.as_deref())).collect();
    assert_eq!(
        logged,
        [(429, Some("no_body")), (200, None), (403, Some("challenge")), (401, Some("token_invalidated"))]
    );
    for request in asked {
        assert_eq!(request.account.as_deref(), Some(ANN));
        assert_eq!(request.user_agent.as_deref(), Some("rotator/1.0"));
    }
}
