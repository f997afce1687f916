package progress

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTailKeepsTheEnd(t *testing.T) {
	var log Tail
	for i := range 100 {
		fmt.Fprintf(&log, "line %d\r\n\n", i)
	}
	if len(log.Lines()) != tailLines || log.Lines()[0] != "line 80" || log.Lines()[tailLines-1] != "line 99" {
		t.Errorf("it keeps %q", log.Lines())
	}
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := New(&out)
		defer p.Stop()
		endA := p.Start("prometheus v1", "building", "2 minutes when cold")
		time.Sleep(10 * time.Second)
		endB := p.Start("base", "pulling x", "")
		time.Sleep(6 * time.Second)
		endB("failed")
		time.Sleep(15 * time.Second)
		endA("ready")
		time.Sleep(time.Minute)
		synctest.Wait()
		want := `prometheus v1: building (2 minutes when cold)
base: pulling x
  still building: prometheus v1 for 15s, base for 5s
base: failed after 6s
  still building: prometheus v1 for 30s
prometheus v1: ready after 31s
`
		if out.String() != want {
			t.Errorf("it prints\n%swant\n%s", out.String(), want)
		}
	})
}
