/** What the lending panel shows once somebody has joined: loaded then, not with the page. */
import "./dashboard.ts";
import "./history.ts";
import "./lendNotices.ts";
import "./orbit.ts";
import "./preferences.ts";
