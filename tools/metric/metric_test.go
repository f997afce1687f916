package metric

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	"github.com/prometheus/common/model"
)

const text = `# HELP x_seconds How long it took.
# TYPE x_seconds histogram
x_seconds_bucket{path="/",le="0.1"} 1
x_seconds_bucket{path="/",le="+Inf"} 2
x_seconds_sum{path="/"} 3
x_seconds_count{path="/"} 2

# TYPE requests_total counter
requests_total{code="200"} 5
requests_total{method="get"} 5 1700000000000
# TYPE temperature gauge
temperature 3
# TYPE rpc summary
rpc{quantile="0.5"} 1
rpc_sum 3
rpc_count 2
untyped_thing 1
# HELP only_help Nothing more.
# TYPE idle_total counter
`

const open = `# TYPE x_bytes gauge
# UNIT x_bytes bytes
# HELP x_bytes Bytes.
x_bytes{a="b"} 1
# TYPE hits counter
hits_total 3
hits_created 3
# TYPE build info
build_info{version="1"} 1
# EOF
`

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.prom")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	g := NewWithT(t)
	inv, err := Read(t.Context(), write(t, text), write(t, open))
	g.Expect(err).NotTo(HaveOccurred())
	for name, want := range map[string]Series{
		"x_seconds_bucket": {Role: Bucket, Metric: "x_seconds", Type: model.MetricTypeHistogram, Help: "How long it took.", Labels: []string{"le", "path"}, Bounds: []float64{0.1}},
		"x_seconds_sum":    {Role: Counter, Metric: "x_seconds", Type: model.MetricTypeHistogram, Help: "How long it took.", Labels: []string{"path"}},
		"requests_total":   {Role: Counter, Metric: "requests_total", Type: model.MetricTypeCounter, Labels: []string{"code", "method"}},
		"temperature":      {Role: Gauge, Metric: "temperature", Type: model.MetricTypeGauge, Labels: []string{}},
		"rpc":              {Role: Quantile, Metric: "rpc", Type: model.MetricTypeSummary, Labels: []string{"quantile"}},
		"rpc_count":        {Role: Counter, Metric: "rpc", Type: model.MetricTypeSummary, Labels: []string{}},
		"untyped_thing":    {Role: Unknown, Metric: "untyped_thing", Type: model.MetricTypeUnknown, Labels: []string{}},
		"idle_total":       {Role: Counter, Metric: "idle_total", Type: model.MetricTypeCounter},
		"only_help":        {Role: Unknown, Metric: "only_help", Type: model.MetricTypeUnknown, Help: "Nothing more."},
		"x_bytes":          {Role: Gauge, Metric: "x_bytes", Type: model.MetricTypeGauge, Help: "Bytes.", Unit: "bytes", Labels: []string{"a"}},
		"hits_total":       {Role: Counter, Metric: "hits", Type: model.MetricTypeCounter, Labels: []string{}},
		"hits_created":     {Role: Gauge, Metric: "hits", Type: model.MetricTypeCounter, Labels: []string{}},
		"build_info":       {Role: Gauge, Metric: "build", Type: model.MetricTypeInfo, Labels: []string{"version"}},
	} {
		want.Name = name
		got, ok := inv.Series(name)
		g.Expect(ok).To(BeTrue(), name)
		g.Expect(got).To(Equal(want))
	}
	for _, name := range []string{"x_seconds", "hits", "nothing"} {
		_, ok := inv.Series(name)
		g.Expect(ok).To(BeFalse(), name)
	}
}

func TestReadMergesDisagreement(t *testing.T) {
	g := NewWithT(t)
	inv, err := Read(t.Context(), write(t, "# TYPE x gauge\nx{a=\"b\"} 1\n"), write(t, "# TYPE x counter\nx{c=\"d\"} 1"))
	g.Expect(err).NotTo(HaveOccurred())
	x, _ := inv.Series("x")
	g.Expect(x).To(Equal(Series{Name: "x", Role: Unknown, Metric: "x", Type: model.MetricTypeUnknown, Labels: []string{"a", "c"}}))
}

func TestReadFromAServer(t *testing.T) {
	g := NewWithT(t)
	mux := http.NewServeMux()
	serve := func(path, contentType, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = w.Write([]byte(body))
		})
	}
	serve("/plain", "text/plain; version=0.0.4", text)
	serve("/open", "application/openmetrics-text; version=1.0.0; charset=utf-8", open)
	serve("/page", "text/html", "<html>")
	server := httptest.NewServer(mux)
	defer server.Close()

	inv, err := Read(t.Context(), server.URL+"/plain", server.URL+"/open")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(inv.Names()).To(ContainElements("rpc", "hits_total"))

	for path, want := range map[string]string{
		"/page": "/page: the answer is text/html, not metrics: name the URL that Prometheus scrapes",
		"/none": "/none: the server answered 404 Not Found: name the URL that Prometheus scrapes",
	} {
		_, err := Read(t.Context(), server.URL+path)
		g.Expect(err).To(MatchError(server.URL + want))
	}
	server.Close()
	_, err = Read(t.Context(), server.URL)
	g.Expect(err).To(MatchError(ContainSubstring("connection refused")))
}

func TestReadRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ content, want string }{
		"an empty file":          {"", "m.prom: holds no metric: name what a target exports"},
		"a rule file":            {"\n# ours\ngroups:\n", `m.prom:3: not in the format of metrics ("groups:")`},
		"a value that is none":   {"a 1\n\nb{c=\"d\"} one\n", `m.prom:3: not in the format of metrics ("b{c=\"d\"} one")`},
		"OpenMetrics with a gap": {"# TYPE a gauge\n\na 1\n# EOF\n", "m.prom:"},
		"binary":                 {"a 1\n\x00\xff", "m.prom:2: not in the format of metrics: a control character, 0x00: remove it"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := Read(t.Context(), write(t, tc.content))
			g.Expect(err).To(MatchError(ContainSubstring(tc.want)))
		})
	}
	g := NewWithT(t)
	t.Chdir(t.TempDir())
	_, err := Read(t.Context(), "none.prom", ".", "/dev/null")
	g.Expect(err).To(MatchError("none.prom: no such file or directory: name a file or a URL with metrics\n" +
		".: is not a file: name one that holds what a target exports\n/dev/null: is not a file: name one that holds what a target exports"))
	g.Expect(os.WriteFile("large.prom", nil, 0o644)).To(Succeed())
	g.Expect(os.Truncate("large.prom", MaxSize+1)).To(Succeed())
	_, err = Read(t.Context(), "large.prom")
	g.Expect(err).To(MatchError("large.prom: an exposition of more than 67108864 bytes: name what a single target exports"))
}

func TestDrift(t *testing.T) {
	g := NewWithT(t)
	read := func(content string) *Inventory {
		inv, err := Read(t.Context(), write(t, content))
		g.Expect(err).NotTo(HaveOccurred())
		return inv
	}
	before := read("# TYPE a counter\na 1\n# TYPE b gauge\nb{x=\"1\"} 1\n# TYPE gone gauge\ngone 1\n")
	g.Expect(Drift(before, read("# HELP a New.\n# TYPE a counter\na 7\n# TYPE b gauge\nb{x=\"2\"} 3\nb{x=\"3\"} 3\n# TYPE gone gauge\ngone 0\n"))).To(BeEmpty())
	g.Expect(Drift(before, read("# TYPE a gauge\na 1\n# TYPE b gauge\nb{x=\"1\",y=\"2\"} 1\n# TYPE new gauge\nnew 1\n"))).To(Equal([]string{
		"a is a counter in the inventory, but exported as a gauge",
		"b has the label x in the inventory, but is exported with the labels x, y",
		"gone is in the inventory, but no longer exported",
		"new is exported, but not in the inventory",
	}))
}

func FuzzAdd(f *testing.F) {
	f.Add([]byte(text), "")
	f.Add([]byte(open), openMetrics)
	f.Add([]byte(open), "")
	f.Add([]byte("# TYPE a histogram\n# TYPE a_bucket gauge\na_bucket{le=\"1\"} 2 3 # {x=\"y\"} 1\n"), "text/plain")
	f.Fuzz(func(t *testing.T, content []byte, contentType string) {
		inv := &Inventory{series: map[string]*Series{}}
		if err := inv.add("f.prom", content, contentType); err != nil {
			return
		}
		for _, name := range inv.Names() {
			if s, _ := inv.Series(name); s.Name != name || s.Role == "" || s.Metric == "" {
				t.Errorf("not a series: %+v", s)
			}
		}
		if drifted := Drift(inv, inv); len(drifted) > 0 {
			t.Errorf("differs from itself: %q", drifted)
		}
	})
}
