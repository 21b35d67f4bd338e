import { parentPort } from "node:worker_threads";
import { expose } from "comlink";
import { engineWorkerApi } from "./engineWorkerApi.ts";
import { nodeEndpoint } from "./nodeEndpoint.ts";
import { openNodeRuntime } from "./nodeRuntime.ts";

if (!parentPort) throw new Error("This module is the inference thread, and no program of its own.");
expose(engineWorkerApi(openNodeRuntime), nodeEndpoint(parentPort));
