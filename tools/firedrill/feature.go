package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/stemedb/firedrill/tools/promql"
)

// addFeatureFlag adds the flag that Prometheus and promtool have for what they understand beside the usual. Features of
// Prometheus that are not about PromQL may be among them.
func addFeatureFlag(cmd *cobra.Command, features *[]string) {
	cmd.Flags().StringSliceVar(features, "enable-feature", nil, "features that Prometheus is started with, as its flag of that name has them ("+strings.Join(promql.Features, ", ")+")")
}
