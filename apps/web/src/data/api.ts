import { createPlasmaClient } from "@plasma/client/client";

import { stepUpGate } from "./step-up/gate";
import { stepUpMiddleware } from "./step-up/middleware";

/** The API of the server that these files came from; the session cookie is the browser's business. */
export const api = createPlasmaClient();

api.use(stepUpMiddleware(stepUpGate));
