/** When the months of the taxis are loaded: three runs, one after the other. */
export const MONTHS = {
  schedule: "0 6 2 * *",
  start: "2021-01-01",
  end: "2021-03-28",
  catchup: true,
  maxActiveRuns: 1,
} as const;
