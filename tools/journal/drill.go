package journal

import "time"

// Drill is what an auditor asks of a disaster that was rehearsed.
type Drill struct {
	Scenario   Scenario `json:"scenario"`
	Objectives Recovery `json:"objectives"`
	Measured   Recovery `json:"measured"`
	Timeline   []Moment `json:"timeline"`
	Deviations []string `json:"deviations"` // from what was planned
	Findings   []string `json:"findings"`
	Limits     []string `json:"limits"` // what the exercise cannot show
}

// Scenario is what was rehearsed. The seed makes it again.
type Scenario struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Seed        uint64 `json:"seed"`
}

// Recovery is how soon a service is back, and how much is lost: as it should be, or as it was measured. What is null has
// not been set, or could not be measured.
type Recovery struct {
	RTO        *Seconds `json:"rto_seconds"`
	RPORecords *int64   `json:"rpo_records"`
	RPO        *Seconds `json:"rpo_seconds"`
}

// Moment is something that happened in a drill.
type Moment struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

// Within is whether what was measured is at most the objective; Unknown where one of them is not known.
func Within[T Seconds | int64](measured, objective *T) Verdict {
	switch {
	case measured == nil || objective == nil:
		return Unknown
	case *measured <= *objective:
		return True
	}
	return False
}
