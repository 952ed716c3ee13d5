import type { Provider } from "@plasma/client/types";

/** Kinds of providers that can be connected. */
export type RemoteKind = Exclude<Provider["kind"], "local">;

interface About {
  label: string;
  /** The usual address. */
  address: string;
  keyHint?: string;
  /** Whether servers of this kind may have OpenAI's Responses. */
  mayHaveResponses: boolean;
}

export const PROVIDER_KINDS: Record<RemoteKind, About> = {
  openai: { label: "OpenAI’s format (also llama.cpp, Ollama, vLLM, …)", address: "https://api.openai.com/v1", mayHaveResponses: true },
  anthropic: { label: "Anthropic’s Messages", address: "https://api.anthropic.com/v1", mayHaveResponses: false },
  gemini: { label: "Gemini", address: "https://generativelanguage.googleapis.com/v1beta", mayHaveResponses: false },
  azure: { label: "Azure OpenAI", address: "https://NAME.openai.azure.com", mayHaveResponses: true },
  bedrock: {
    label: "Amazon Bedrock",
    address: "https://bedrock-runtime.us-east-1.amazonaws.com",
    keyHint: "A Bedrock API key, or ACCESS_KEY_ID:SECRET_ACCESS_KEY, with :SESSION_TOKEN for temporary ones.",
    mayHaveResponses: false,
  },
};
