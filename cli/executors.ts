/** The names of the executors that tasks can ask for on the command line. */
export const EXECUTORS = ["inProcess", "subprocess"] as const;
