import { expose } from "comlink";
import { engineWorkerApi } from "./engineWorkerApi.ts";
import { openWebRuntime } from "./webRuntime.ts";

expose(engineWorkerApi(openWebRuntime));
