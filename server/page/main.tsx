/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { render } from "preact";
import { App } from "./app.tsx";
import { shortcutsDialog } from "./dialogs/shortcuts_dialog.tsx";
import { follow } from "./live.ts";
import { followLinks } from "./router.ts";
import { openDialog } from "./overlay.ts";
import { addShortcuts, onKey } from "./shortcuts.ts";
import { applyTheme } from "./theme.ts";
import "./styles/main.css";

applyTheme();
document.addEventListener("click", followLinks);
document.addEventListener("keydown", onKey);
addShortcuts([
  { keys: "?", does: "Show the shortcuts", run: () => openDialog(shortcutsDialog()) },
]);
render(<App />, document.body);
// For as long as the page is there.
follow(new AbortController().signal);
