import { copy, csv, dag, decompress, http, pipe } from "sluice";

/** The months of New York's yellow taxis: each a file to download and a table to load, at the same time. */
const taxi = dag("yellow_taxi", {
  schedule: "0 6 2 * *",
  start: "2021-01-01",
  end: "2021-03-28",
  catchup: true,
  maxActiveRuns: 1,
  params: { base: "https://github.com/DataTalksClub/nyc-tlc-data/releases/download/yellow" },
  defaults: { retries: 3, retryDelay: { seconds: 10 } },
});

const file = taxi.task(
  "download",
  http({
    url: (run) => `${run.params.base}/yellow_tripdata_${run.strftime("%Y-%m")}.csv.gz`,
  }),
);

taxi.task(
  "load",
  pipe(
    file, // a stream edge: read while it arrives
    decompress(),
    csv(),
    copy({ table: (run) => `yellow_taxi_${run.strftime("%Y_%m")}` }),
  ),
);

export default taxi;
