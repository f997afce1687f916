package ruletest

import "context"

func (s *Suite) warnings(ctx context.Context, f *file, results []TestResult) []Warning { return nil }
