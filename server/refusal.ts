/** Why a request is not done: its status, and a sentence for who asked. */
export class Refusal extends Error {
  /** Of the class. */
  override readonly name = "Refusal";
  /** Of HTTP, 400 or more. */
  readonly status: number;
  /** Sent along. */
  readonly headers: Readonly<Record<string, string>>;

  /** Says what, where, why, and what to do about it. */
  constructor(
    status: number,
    message: string,
    options: ErrorOptions & { readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message, options);
    this.status = status;
    this.headers = options.headers ?? {};
  }
}
