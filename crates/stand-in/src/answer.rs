//! The event stream of an answer, as the Responses API sends it.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::account::Account;
use crate::token::{now, random};

/// A whole answer that names the account which served it.
pub(crate) fn completed(account: &Account, model: &str) -> String {
    let text = format!("Hello from {} ({})", account.email, account.account_id);
    let id = random();
    let item_id = format!("msg_{id}");
    let item = |status: &str, content: Value| json!({"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content});
    let part = json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    let empty_part = json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
    let done = item("completed", json!([part]));
    let begun = response(&id, model, "in_progress", &json!([]));
    let mut ended = response(&id, model, "completed", &json!([done]));
    ended["completed_at"] = json!(now());
    ended["usage"] = json!({
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 18,
    });

    let place = json!({"item_id": item_id, "output_index": 0, "content_index": 0});
    events([
        ("response.created", json!({"response": begun})),
        ("response.in_progress", json!({"response": begun})),
        ("response.output_item.added", json!({"output_index": 0, "item": item("in_progress", json!([]))})),
        ("response.content_part.added", with(&place, "part", empty_part)),
        ("response.output_text.delta", with(&with(&place, "delta", json!(text)), "logprobs", json!([]))),
        ("response.output_text.done", with(&with(&place, "text", json!(text)), "logprobs", json!([]))),
        ("response.content_part.done", with(&place, "part", part)),
        ("response.output_item.done", json!({"output_index": 0, "item": done})),
        ("response.completed", json!({"response": ended})),
    ])
}

/// An answer that begins well and then hits the cap.
pub(crate) fn failed(model: &str) -> String {
    let id = random();
    let begun = response(&id, model, "in_progress", &json!([]));
    let mut failed = response(&id, model, "failed", &json!([]));
    // No "try again in N s" here: codex would obey and sleep.
    failed["error"] = json!({
        "code": "rate_limit_exceeded",
        "message": "The usage limit has been reached",
    });
    events([
        ("response.created", json!({"response": begun})),
        ("response.in_progress", json!({"response": begun})),
        ("response.failed", json!({"response": failed})),
    ])
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

fn events<const N: usize>(events: [(&str, Value); N]) -> String {
    let mut stream = String::new();
    for (number, (kind, mut data)) in events.into_iter().enumerate() {
        data["type"] = json!(kind);
        data["sequence_number"] = json!(number);
        let _ = write!(stream, "event: {kind}\ndata: {data}\n\n");
    }
    stream
}
