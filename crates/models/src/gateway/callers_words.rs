//! The middle form's fields, as clients of each protocol know them.

use plasma_protocols::Protocol;

/// A field of the middle form, and its names in OpenAI's Chat Completions, OpenAI's Responses, Anthropic's Messages and
/// Gemini. Where a protocol has no such field its nearest one stands: a client can be told of it only after it asked for it.
const NAMES: [(&str, [&str; 4]); 21] = [
    ("choices", ["n", "n", "n", "generationConfig.candidateCount"]),
    ("output", ["response_format", "text.format", "output_config.format", "generationConfig.responseJsonSchema"]),
    (
        "output.description",
        ["response_format.json_schema.description", "text.format.description", "output_config.format", "description"],
    ),
    ("output.strict", ["response_format.json_schema.strict", "text.format.strict", "output_config.format", "strict"]),
    ("logprobs", ["logprobs", "top_logprobs", "logprobs", "generationConfig.responseLogprobs"]),
    ("top_logprobs", ["top_logprobs", "top_logprobs", "top_logprobs", "generationConfig.logprobs"]),
    ("stop", ["stop", "stop", "stop_sequences", "generationConfig.stopSequences"]),
    ("tool_choice", ["tool_choice", "tool_choice", "tool_choice", "toolConfig.functionCallingConfig"]),
    (
        "parallel_tool_calls",
        ["parallel_tool_calls", "parallel_tool_calls", "tool_choice.disable_parallel_tool_use", "toolConfig"],
    ),
    ("max_tokens", ["max_tokens", "max_output_tokens", "max_tokens", "generationConfig.maxOutputTokens"]),
    ("max_output_tokens", ["max_tokens", "max_output_tokens", "max_tokens", "generationConfig.maxOutputTokens"]),
    ("temperature", ["temperature", "temperature", "temperature", "generationConfig.temperature"]),
    ("top_p", ["top_p", "top_p", "top_p", "generationConfig.topP"]),
    ("top_k", ["top_k", "top_k", "top_k", "generationConfig.topK"]),
    ("reasoning", ["reasoning_effort", "reasoning", "thinking", "generationConfig.thinkingConfig"]),
    ("reasoning_effort", ["reasoning_effort", "reasoning", "thinking", "generationConfig.thinkingConfig"]),
    (
        "reasoning.effort",
        ["reasoning_effort", "reasoning.effort", "output_config.effort", "generationConfig.thinkingConfig"],
    ),
    (
        "reasoning.budget_tokens",
        [
            "reasoning_effort",
            "reasoning.effort",
            "thinking.budget_tokens",
            "generationConfig.thinkingConfig.thinkingBudget",
        ],
    ),
    (
        "reasoning.visible",
        [
            "reasoning_effort",
            "reasoning.summary",
            "thinking.display",
            "generationConfig.thinkingConfig.includeThoughts",
        ],
    ),
    ("user", ["user", "user", "metadata.user_id", "labels"]),
    ("cache", ["prompt_cache_key", "prompt_cache_key", "cache_control", "cachedContent"]),
];

/// What a client of `protocol` calls a field of the middle form.
pub(super) fn callers_name(protocol: Protocol, field: &str) -> String {
    if let Some((_, [openai_chat, openai_responses, anthropic, gemini])) =
        NAMES.iter().find(|(middle, _)| *middle == field)
    {
        return match protocol {
            Protocol::OpenAiChat | Protocol::Bedrock => openai_chat,
            Protocol::OpenAiResponses => openai_responses,
            Protocol::Anthropic => anthropic,
            Protocol::Gemini => gemini,
        }
        .to_string();
    }
    let (messages, parts) = match protocol {
        Protocol::OpenAiChat | Protocol::Bedrock | Protocol::Anthropic => ("messages[", ".content["),
        Protocol::OpenAiResponses => ("input[", ".content["),
        Protocol::Gemini => ("contents[", ".parts["),
    };
    field.replace("messages[", messages).replace(".parts[", parts)
}
