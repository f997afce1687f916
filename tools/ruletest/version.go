package ruletest

// Version is the version of promtool whose verdicts are given.
const Version = "v0.316.0"
