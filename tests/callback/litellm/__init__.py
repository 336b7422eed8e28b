"""Stands in for LiteLLM: what the callback imports of it, so that its rules can be tested without 700 MB. What LiteLLM
itself does with the callback is tested with the real one, in tests/litellm.rs and its neighbours."""

callbacks: list[object] = []
