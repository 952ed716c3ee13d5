import { networkProblem, ProblemError, problemFrom } from "@plasma/client/problem";
import type { BatchFile } from "@plasma/client/types";

/** Sends a batch's lines. XMLHttpRequest, because fetch does not tell how much of a body was sent. */
export function uploadBatchFile(file: File, options: { onProgress: (sent: number, total: number) => void; signal: AbortSignal }): Promise<BatchFile> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/v1/files");
    request.responseType = "json";
    request.upload.onprogress = (event) => options.onProgress(event.loaded, event.lengthComputable ? event.total : file.size);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(request.response as BatchFile);
      else reject(new ProblemError(problemFrom(request.status, request.response)));
    };
    request.onerror = () => reject(new ProblemError(networkProblem()));
    request.onabort = () => reject(new DOMException("the upload was cancelled", "AbortError"));
    options.signal.addEventListener("abort", () => request.abort(), { once: true });
    const form = new FormData();
    form.append("purpose", "batch");
    form.append("file", file);
    request.send(form);
  });
}
