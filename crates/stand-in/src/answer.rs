//! The event stream of an answer, as the Responses API sends it.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::account::Account;
use crate::token::{now, random};

/// What the provider says of every used-up limit.
pub(crate) const USAGE_LIMIT: &str = "The usage limit has been reached";

/// A whole answer that names the account which served it, after its reasoning if there is any.
pub(crate) fn completed(account: &Account, model: &str, reasoning: Option<&Value>) -> String {
    let text = format!("Hello from {} ({})", account.email, account.account_id);
    let id = random();
    let item_id = format!("msg_{id}");
    let item = |status: &str, content: Value| json!({"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content});
    let part = json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    let empty_part = json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
    let done = item("completed", json!([part]));
    let output: Vec<&Value> = reasoning.into_iter().chain([&done]).collect();
    let index = output.len() - 1;
    let mut ended = response(&id, model, "completed", &json!(output));
    ended["completed_at"] = json!(now());
    ended["usage"] = json!({
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 18,
    });

    let place = json!({"item_id": item_id, "output_index": index, "content_index": 0});
    let mut answer = begun(&id, model);
    if let Some(reasoning) = reasoning {
        let item = json!({"output_index": 0, "item": reasoning});
        answer.extend([("response.output_item.added", item.clone()), ("response.output_item.done", item)]);
    }
    answer.extend([
        (
            "response.output_item.added",
            json!({"output_index": index, "item": item("in_progress", json!([]))}),
        ),
        ("response.content_part.added", with(&place, "part", empty_part)),
        ("response.output_text.delta", with(&with(&place, "delta", json!(text)), "logprobs", json!([]))),
        ("response.output_text.done", with(&with(&place, "text", json!(text)), "logprobs", json!([]))),
        ("response.content_part.done", with(&place, "part", part)),
        ("response.output_item.done", json!({"output_index": index, "item": done})),
        ("response.completed", json!({"response": ended})),
    ]);
    events(answer)
}

/// An answer that says `words`, if any, and then hits the cap.
pub(crate) fn failed(model: &str, words: &str) -> String {
    let id = random();
    let mut failed = response(&id, model, "failed", &json!([]));
    // No "try again in N s" here: codex would obey and sleep.
    failed["error"] = json!({"code": "rate_limit_exceeded", "message": USAGE_LIMIT});
    let mut answer = begun(&id, model);
    if !words.is_empty() {
        let item_id = format!("msg_{id}");
        let item = json!({"id": item_id, "type": "message", "status": "in_progress", "role": "assistant", "content": []});
        let part = json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
        let place = json!({"item_id": item_id, "output_index": 0, "content_index": 0});
        answer.extend([
            ("response.output_item.added", json!({"output_index": 0, "item": item})),
            ("response.content_part.added", with(&place, "part", part)),
            ("response.output_text.delta", with(&with(&place, "delta", json!(words)), "logprobs", json!([]))),
        ]);
    }
    answer.push(("response.failed", json!({"response": failed})));
    events(answer)
}

/// An answer that the cap leaves incomplete. No report quotes the whole body; clients look in both places.
pub(crate) fn incomplete(model: &str) -> String {
    let id = random();
    let mut incomplete = response(&id, model, "incomplete", &json!([]));
    incomplete["error"] = json!({"code": "usage_limit_reached", "message": USAGE_LIMIT});
    incomplete["incomplete_details"] = json!({"reason": "usage_limit_reached"});
    let mut answer = begun(&id, model);
    answer.push(("response.incomplete", json!({"response": incomplete})));
    events(answer)
}

/// An answer that an `error` event ends; its data is sent as it is.
pub(crate) fn ended_by(model: &str, error: &str) -> String {
    format!("{}event: error\ndata: {error}\n\n", events(begun(&random(), model)))
}

fn begun(id: &str, model: &str) -> Vec<(&'static str, Value)> {
    let begun = json!({"response": response(id, model, "in_progress", &json!([]))});
    vec![("response.created", begun.clone()), ("response.in_progress", begun)]
}

fn response(id: &str, model: &str, status: &str, output: &Value) -> Value {
    json!({
        "id": format!("resp_{id}"),
        "object": "response",
        "created_at": now(),
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "max_tool_calls": null,
        "model": model,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "prompt_cache_key": null,
        "reasoning": {"effort": "medium", "summary": null},
        "safety_identifier": null,
        "service_tier": "default",
        "store": false,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": null,
        "user": null,
        "metadata": {},
    })
}

fn with(object: &Value, key: &str, value: Value) -> Value {
    let mut object = object.clone();
    object[key] = value;
    object
}

fn events(events: Vec<(&str, Value)>) -> String {
    let mut stream = String::new();
    for (number, (kind, mut data)) in events.into_iter().enumerate() {
        data["type"] = json!(kind);
        data["sequence_number"] = json!(number);
        let _ = write!(stream, "event: {kind}\ndata: {data}\n\n");
    }
    stream
}
