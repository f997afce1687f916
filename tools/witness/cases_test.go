package witness

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The rules are those of public reports, which tools/check reads too. What is said of each alert is true.
func TestCases(t *testing.T) {
	for name, want := range map[string]map[string][]string{
		"02-no-comparison":     {"NoTraffic": {"always fires"}},
		"16-match-group-empty": {"PodTxHigh": {"never fires"}},
		"17-missing-on-group-left": {
			"PodMemNearLimit":  {"never fires"},
			"QuotaAlmostFull":  {`kube_resourcequota{type="used"} at 91 (0.91) | 90 (0.9) | 5m`},
			"NoIgnoring":       {"never fires"},
			"LabelsNeverMatch": {"never fires"},
			"UnlessMismatch":   {"up at 0 | 1 | 5m"},
		},
		"19-short-range": {
			"ErrorsShortRange":   {"errors_total rising by 1 each 15s (0.0666667) | rising by 0 each 15s (0) | 1m"},
			"ForBelowInterval":   {"up at 0 | 1 | 1m"},
			"ReadsSlowRecording": {"never fires"},
			"OneSampleIncrease":  {"errors_total rising by 1 each 30s (2) | rising by 0 each 30s (0) | 0s"},
		},
		"20-cert-expiry/rules": {
			"CertExpiresIn30Days": {"probe_ssl_earliest_cert_expiry in 29s (29) | in 30s (30) | 1h"},
			"CertExpiresReversed": {"cert_expires_in_hours at 721 | 720 | 1h"},
			"CertExpired":         {"probe_ssl_earliest_cert_expiry 4321s ago (-0.1) | 4320s ago (0) | 0s"},
		},
		"22-increase-on-timestamp-gauge": {"HQNoLe": {"never fires"}},
		"24-absent-variants": {
			"KubeletDown":        {"up missing | there | 15m"},
			"AbsentRegex":        {"up missing | there | 5m"},
			"AbsentOverTime":     {"pdisk_status missing | there | 5m"},
			"AbsentComparedZero": {"never fires"},
			"AbsentBoolInside":   {"up missing | there | 5m"},
			"CountBelowOne":      {"never fires"},
			"SumZero":            {"orders_total rising by 0 each 1m (0) | rising by 1 each 1m (0.0166667) | 5m"},
			"AbsentAnd":          {"never fires"},
		},
		"29-boundary-idioms": {
			"CountGtZero":       {"up at 0 | 1 | 0s", "1 series of up | no series | 0s"},
			"CountByGtZero":     {"up at 0 | 1 | 0s", "1 series of up | no series | 0s"},
			"CountSeriesGtZero": {"1 series of pending_job | no series | 0s"},
			"CountSeriesGeOne":  {"1 series of pending_job | no series | 0s"},
			"AlertsFiring":      {"not known"},
			"AbsentEqOne":       {"up missing | there | 0s"},
			"AbsentGtZero":      {"up missing | there | 0s"},
			"AbsentOr":          {"up missing | there | 0s", "up at 0 | 1 | 0s"},
			"Utf8Name":          {`{"disk.usage.percent"} at 91 | 90 | 0s`},
			"Utf8Label":         {"disk_usage at 91 | 90 | 0s"},
			"NameRegex":         {"test_health_ at 1 | 0 | 0s"},
			"TimeOfDay":         {"x at 2 | 1 | 0s", "at 09:00 on Monday, 5 January | at 08:00 on Monday, 5 January | 0s"},
			"Predict":           {"disk_free_bytes falling by 0.42 each 1m to 100 (-0.8) | falling by 0.41 each 1m to 100 (1.6) | 0s"},
			"PredictAnd": {"disk_size at 98 (0.397959) | 97 (0.402062) | 0s", "disk_avail falling by 0.028 each 1m to 39 (-1.32) | falling by 0.027 each 1m to 39 (0.12) | 0s",
				"disk_readonly at 0 | 1 | 0s"},
			"Deadman":       {"always fires"},
			"TopK":          {"x at 6 | 5 | 0s"},
			"LabelCmp":      {"x at 101 | 100 | 0s"},
			"Ratio":         {"err_total rising by 6 each 1m (0.06) | rising by 5 each 1m (0.05) | 0s"},
			"RatioClamp":    {"err_total rising by 6 each 1m (0.06) | rising by 5 each 1m (0.05) | 0s"},
			"Zscore":        {"x at 99 before, at 100 since (7.68115) | at 100 before, at 100 since | 0s"},
			"Offset":        {"x at 49.4 before, at 99 since (2.00405) | at 49.5 before, at 99 since (2) | 0s"},
			"Avg":           {"up at 0 | 1 | 0s"},
			"Quant":         {"lat at 3 | 2 | 0s"},
			"Round":         {"x at 427679 (4.9) | 427680 (5) | 0s"},
			"Ceil":          {"x at 6 | 5 | 0s"},
			"Floor":         {"cert_expiry in 604799s (6) | in 604800s (7) | 0s"},
			"Abs":           {"clock_offset at 0.06 | 0.05 | 0s"},
			"Sgn":           {"node_timex_sync_status at 0 | 1 | 0s", "node_timex_maxerror_seconds at 16 | 15 | 0s"},
			"NewSeries":     {"x new | there before | 0s"},
			"Gone":          {"x gone | there | 0s"},
			"StaleCheck":    {"x with a sample each 4m (180) | with a sample each 3m (120) | 0s"},
			"CountDistinct": {"2 series of build_info | 1 series | 0s"},
			"CountValues":   {"2 series of config_hash | 1 series | 0s"},
			"GroupLeftInfo": {"up at 0 | 1 | 0s", "node_info there | missing | 0s"},
			"BoolSum":       {`up{instance="host-1:9100"} at 0 | 1 | 0s`},
			"PctDown":       {"up at 0 | 1 | 0s", "1 series of up | no series | 0s"},
		},
		"37-recording-rules": {"ReadsLostLabel": {"never fires"}},
	} {
		t.Run(name, func(t *testing.T) {
			seen := map[string][]string{}
			for _, r := range answers(t, caseRules(t, name)) {
				seen[r.Alert.Name] = rows(r)
			}
			for alert, expected := range want {
				if !slices.Equal(seen[alert], expected) {
					t.Errorf("%s: got %q, want %q", alert, seen[alert], expected)
				}
			}
		})
	}
}

func caseRules(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../check/testdata/cases", name, "rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
