package ruletest

import "github.com/stemedb/firedrill/tools/evaluate"

// Storage is evaluate.Storage.
var Storage = evaluate.Storage
