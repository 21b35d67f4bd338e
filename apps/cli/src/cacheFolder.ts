import { homedir } from "node:os";
import { join } from "node:path";

/**
 * Where models, keys and certificates live between starts: `TABMESH_CACHE`, else the platform's cache folder
 * (XDG Base Directory Specification on Linux).
 */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
	if (environment.TABMESH_CACHE) return environment.TABMESH_CACHE;
	if (environment.XDG_CACHE_HOME) return join(environment.XDG_CACHE_HOME, "tabmesh");
	if (process.platform === "win32" && environment.LOCALAPPDATA)
		return join(environment.LOCALAPPDATA, "tabmesh");
	if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "tabmesh");
	return join(homedir(), ".cache", "tabmesh");
}
