import { createPlasmaClient } from "@plasma/client/client";

/** The API of the server that these files came from; the session cookie is the browser's business. */
export const api = createPlasmaClient();
