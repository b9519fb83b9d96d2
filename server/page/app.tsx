import type { JSX } from "preact";
import { base, setToken, wantsToken } from "./api.ts";
import { bytes } from "./format.ts";
import { connection, epoch, meters } from "./live.ts";
import { Button } from "./parts/button.tsx";
import { DialogHost } from "./parts/dialog.tsx";
import { Notices } from "./parts/notices.tsx";
import { TipHost } from "./parts/tip.tsx";
import { place } from "./router.ts";
import { theme, turnTheme } from "./theme.ts";
import { throughput } from "./throughput.ts";
import { NAVIGATION, viewOf } from "./views.tsx";

/** All of the page. */
export function App(): JSX.Element {
  if (wantsToken.value) return <Gate />;
  return (
    <div class="shell">
      <Bar />
      {connection.value === "lost" && (
        <div class="strip" role="status">
          The server does not answer. What you see may be old; trying again…
        </div>
      )}
      <main class="main">{viewOf(place.value)}</main>
      <DialogHost />
      <Notices />
      <TipHost />
    </div>
  );
}

function Bar(): JSX.Element {
  const { path } = place.value;
  return (
    <header class="bar">
      <a class="brand" href={`${base}/`} aria-label="Sluice: all DAGs">
        <Mark />
        <span>Sluice</span>
      </a>
      <nav aria-label="Main">
        {NAVIGATION.map(({ label, to, under }) => (
          <a key={to} href={base + to} aria-current={under.test(path) ? "page" : undefined}>
            {label}
          </a>
        ))}
      </nav>
      <div class="now">
        <Now />
        <span
          class="link-state"
          data-connection={connection.value}
          role="img"
          aria-label={`The connection is ${connection.value}`}
          title={`The connection is ${connection.value}`}
        />
        <Button
          kind="quiet"
          icon={THEMES[theme.value]}
          label={`Theme: ${theme.value}`}
          onClick={turnTheme}
        />
      </div>
    </header>
  );
}

const THEMES = { system: "system", light: "sun", dark: "moon" } as const;

/** What flows at this moment. */
function Now(): JSX.Element | null {
  const running = meters.value.size;
  if (running === 0) return null;
  return (
    <span class="line">
      <span class="square" data-state="running" aria-hidden="true" />
      <span>{running} running</span>
      <span class="rate">{bytes(throughput.value.all)}/s</span>
    </span>
  );
}

function Mark(): JSX.Element {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="var(--accent)" />
      <path
        d="M7 10.5q4.5-4 9 0t9 0M7 16q4.5-4 9 0t9 0M7 21.5q4.5-4 9 0t9 0"
        fill="none"
        stroke="var(--on-accent)"
        stroke-width="2.6"
        stroke-linecap="round"
      />
    </svg>
  );
}

/** Asks for the token, where the server wants one. */
function Gate(): JSX.Element {
  return (
    <div class="gate">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          const field = event.currentTarget.elements.namedItem("token") as HTMLInputElement;
          setToken(field.value.trim());
          epoch.value++;
        }}
      >
        <h1>Sluice</h1>
        <p class="muted">
          This server wants a token. It was shown when the server first listened; admins make
          others.
        </p>
        <label class="field">
          <span>Token</span>
          <input class="input" name="token" type="password" autocomplete="off" autofocus required />
        </label>
        <Button kind="primary" type="submit">Continue</Button>
      </form>
    </div>
  );
}
