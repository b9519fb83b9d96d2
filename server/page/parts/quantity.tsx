import type { JSX } from "preact";
import { bytes, count } from "../format.ts";

/** Bytes, told exactly when pointed at. */
export function Bytes({ n }: { readonly n: number }): JSX.Element {
  return <span title={`${count(n)} bytes`}>{bytes(n)}</span>;
}
