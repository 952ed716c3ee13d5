import { networkProblem, ProblemError, problemFrom } from "@plasma/client/problem";
import type { KnowledgeDocument } from "@plasma/client/types";

/** Sends one file. XMLHttpRequest, because fetch does not tell how much of a body was sent. */
export function uploadFile(
  collection: string,
  file: File,
  options: { onProgress: (sent: number, total: number) => void; signal: AbortSignal },
): Promise<KnowledgeDocument> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/v1/collections/${encodeURIComponent(collection)}/documents`);
    request.responseType = "json";
    request.upload.onprogress = (event) => options.onProgress(event.loaded, event.lengthComputable ? event.total : file.size);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(request.response as KnowledgeDocument);
      else reject(new ProblemError(problemFrom(request.status, request.response)));
    };
    request.onerror = () => reject(new ProblemError(networkProblem()));
    request.onabort = () => reject(new DOMException("the upload was cancelled", "AbortError"));
    options.signal.addEventListener("abort", () => request.abort(), { once: true });
    const form = new FormData();
    form.append("file", file);
    request.send(form);
  });
}
