import { expose } from "comlink";
import { weightWorkerApi } from "./weightWorkerApi.ts";

expose(weightWorkerApi);
