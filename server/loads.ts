/** Which loads to list. */
export interface LoadsQuery {
  /** Only those into this table, quoted as SQL has it. */
  readonly target?: string;
  /** Only those of a DAG. */
  readonly dag?: string;
  /** Only those of a run. */
  readonly run?: string;
  /** Only those that began before the one of this id. */
  readonly before?: string;
  /** At most so many. */
  readonly limit: number;
}

/** A load as the ledger of a database has it. Moments are ISO strings in UTC. */
export interface Load {
  /** Grows from load to load. */
  readonly id: string;
  /** The table, quoted as SQL has it. */
  readonly target: string;
  /** Names the load: of those of one key into one table, the latest attempt counts. */
  readonly key: string;
  /** How it was loaded: replace, append, merge or partition. */
  readonly mode: string;
  /** Whose it is; null for one without a DAG. */
  readonly dag: string | null;
  /** Of which run. */
  readonly run: string | null;
  /** Of which task. */
  readonly task: string | null;
  /** In which attempt. */
  readonly attempt: number | null;
  /** Rows that are in the table by it. */
  readonly rows: number;
  /** Records of its source that were refused. */
  readonly rejected: number;
  /** Bytes that its source gave. */
  readonly bytes: number;
  /** Where the rows came from. */
  readonly source: string | null;
  /** Tells versions of the source apart. */
  readonly validator: string | null;
  /** Of the source. */
  readonly sha256: string | null;
  /** Whether nothing told where the source ends. */
  readonly unverified: boolean;
  /** The columns as they arrived. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** When the attempt began. */
  readonly began: string;
  /** When it was there for all to see. */
  readonly committed: string;
}
