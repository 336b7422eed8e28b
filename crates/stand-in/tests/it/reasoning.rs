//! Encrypted reasoning: whose it is, and who may replay it.

use serde_json::{Value, json};
use stand_in::{StandIn, Turn};

use crate::client::{ANN, BEN, ask, ask_in, json_of, last_event};

/// The reasoning that an answer carries.
fn reasoning_of(stand_in: &StandIn, tokens: &stand_in::Tokens, thread: &str) -> Value {
    let last: Value =
        serde_json::from_str(&last_event(&mut ask_in(stand_in, tokens, thread, &json!({})))).unwrap();
    assert_eq!(last["response"]["output"][0]["type"], "reasoning");
    assert_eq!(last["response"]["output"][1]["type"], "message");
    last["response"]["output"][0].clone()
}

fn last_turn(stand_in: &StandIn) -> Turn {
    stand_in.requests().pop().unwrap().turn.unwrap()
}

#[test]
fn an_account_accepts_its_own_reasoning_and_no_other() {
    let stand_in = StandIn::start();
    let (ann, ben) = (stand_in.sign_in(ANN), stand_in.sign_in(BEN));
    let of_ann = reasoning_of(&stand_in, &ann, "thread-1");
    assert!(of_ann["encrypted_content"].as_str().unwrap().starts_with("gAAAA"));
    let of_ben = reasoning_of(&stand_in, &ben, "thread-1");
    let message = json!({"type": "message", "role": "user", "content": "Who are you?"});

    let own = json!({"input": [message, of_ann]});
    assert_eq!(ask_in(&stand_in, &ann, "thread-1", &own).status(), 200);
    let turn = last_turn(&stand_in);
    assert_eq!((turn.replayed_items, turn.foreign_items, turn.stray_items), (1, 0, 0));
    assert_eq!(turn.refusal, None);

    let mixed = json!({"input": [of_ben, message, of_ann]});
    let mut refused = ask_in(&stand_in, &ben, "thread-1", &mixed);
    assert_eq!(refused.status(), 400);
    let error = &json_of(&mut refused)["error"];
    let id = of_ann["id"].as_str().unwrap();
    assert_eq!(
        error["message"],
        format!(
            "The encrypted content for item {id} could not be verified. Reason: Encrypted content organization_id did not match the target organization."
        )
    );
    assert_eq!(
        [&error["type"], &error["code"]],
        [&json!("invalid_request_error"), &json!("invalid_encrypted_content")]
    );
    let turn = last_turn(&stand_in);
    assert_eq!((turn.replayed_items, turn.foreign_items), (2, 1));
    assert_eq!(turn.refusal.as_deref(), Some("invalid_encrypted_content"));
}

#[test]
fn an_item_without_its_id_is_named_by_the_ends_of_its_content() {
    let stand_in = StandIn::start();
    let (ann, ben) = (stand_in.sign_in(ANN), stand_in.sign_in(BEN));
    let mut item = reasoning_of(&stand_in, &ann, "thread-1");
    item.as_object_mut().unwrap().remove("id");
    let mut refused = ask_in(&stand_in, &ben, "thread-1", &json!({"input": [item]}));
    let message = json_of(&mut refused)["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("The encrypted content gAAA..."), "{message}");
}

#[test]
fn lenient_it_accepts_what_others_made_but_nothing_changed() {
    let stand_in = StandIn::start();
    let (ann, ben) = (stand_in.sign_in(ANN), stand_in.sign_in(BEN));
    let mut item = reasoning_of(&stand_in, &ann, "thread-1");
    stand_in.accept_foreign_reasoning(true);
    assert_eq!(ask_in(&stand_in, &ben, "thread-1", &json!({"input": [item]})).status(), 200);
    assert_eq!(last_turn(&stand_in).foreign_items, 1, "the log tells all the same");

    let content = item["encrypted_content"].as_str().unwrap().replacen('A', "B", 1);
    item["encrypted_content"] = json!(content);
    let mut refused = ask_in(&stand_in, &ann, "thread-1", &json!({"input": [item]}));
    assert_eq!(refused.status(), 400);
    let message = json_of(&mut refused)["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.ends_with("Reason: Encrypted content could not be decrypted or parsed."), "{message}");
}

#[test]
fn the_log_tells_the_conversation_and_what_strayed_from_another() {
    let stand_in = StandIn::start();
    let ann = stand_in.sign_in(ANN);
    let item = reasoning_of(&stand_in, &ann, "thread-1");
    let body = json!({"input": [item], "prompt_cache_key": "key-1"});
    assert_eq!(ask_in(&stand_in, &ann, "thread-2", &body).status(), 200);
    let turn = last_turn(&stand_in);
    assert_eq!(turn.model.as_deref(), Some("gpt-5.6-sol"));
    assert_eq!(turn.session_id.as_deref(), Some("thread-2"));
    assert_eq!(turn.prompt_cache_key.as_deref(), Some("key-1"));
    assert_eq!((turn.foreign_items, turn.stray_items), (0, 1));
}

#[test]
fn reasoning_is_given_to_those_who_ask_for_it() {
    let stand_in = StandIn::start();
    let ann = stand_in.sign_in(ANN);
    let answer = ask(&stand_in, &ann.access_token, "acct-ann").body_mut().read_to_string().unwrap();
    assert!(!answer.contains("encrypted_content"), "{answer}");
}
