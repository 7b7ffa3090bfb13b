package main

import (
	"fmt"
	"strings"
)

// report writes the results of a table in Markdown.
func report(t table, results []result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", t.title)
	b.WriteString("Time of one operation, and evolve's time divided by that of the others:\n\n")
	grid(&b, t, results, times(t, wall))
	b.WriteString("\nThe same of the time on a processor")
	if t.name == "postgres" {
		b.WriteString(", without the server")
	}
	b.WriteString(":\n\n")
	grid(&b, t, results, times(t, cpu))
	b.WriteString("\nAllocations of one operation, and their bytes:\n\n")
	grid(&b, t, results, func(r result, row int) string {
		return fmt.Sprintf("%.0f, %s", r.of(row, func(p per) float64 { return p.allocs }), size(r.of(row, func(p per) float64 { return p.mem })))
	})
	return b.String()
}

// times shows the time for rows of evolve, and the ratio for others.
func times(t table, m measure) func(r result, row int) string {
	return func(r result, row int) string {
		if t.rows[row].ours {
			return duration(r.of(row, m))
		}
		return fmt.Sprintf("%.2f", r.ratio(row, m))
	}
}

// grid writes a table with a line for each job and a column for each row.
func grid(b *strings.Builder, t table, results []result, cell func(r result, row int) string) {
	b.WriteString("| job |")
	for _, row := range t.rows {
		name := row.name
		b.WriteString(" " + name + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(t.rows)) + "\n")
	for _, r := range results {
		b.WriteString("| " + r.job.name + " |")
		for row := range t.rows {
			b.WriteString(" " + cell(r, row) + " |")
		}
		b.WriteString("\n")
	}
}

// beside shows the times of evolve on all stores.
func beside(ts []table, results [][]result) string {
	var b strings.Builder
	b.WriteString("### evolve in each store\n\n| job |")
	for _, t := range ts {
		b.WriteString(" " + t.title + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(ts)) + "\n")
	for i, r := range results[0] {
		b.WriteString("| " + r.job.name + " |")
		for _, of := range results {
			b.WriteString(" " + duration(of[i].of(0, wall)) + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// lost names the jobs at which a peer is faster than evolve.
func lost(t table, results []result) []string {
	var all []string
	for _, r := range results {
		for i, row := range t.rows {
			if row.ours || row.by {
				continue
			}
			if w := r.ratio(i, wall); w >= 1.005 { // would be printed as more than 1.00
				all = append(all, fmt.Sprintf("- %s, %s: %.2f times the time of %s, %.2f times its time on a processor.",
					t.title, r.job.name, w, row.name, r.ratio(i, cpu)))
			}
		}
	}
	return all
}

// duration prints nanoseconds with three digits.
func duration(ns float64) string {
	switch {
	case ns < 1e3:
		return digits(ns) + " ns"
	case ns < 1e6:
		return digits(ns/1e3) + " µs"
	}
	return digits(ns/1e6) + " ms"
}

// size prints bytes.
func size(bytes float64) string {
	switch {
	case bytes < 1e3:
		return fmt.Sprintf("%.0f B", bytes)
	case bytes < 1e6:
		return digits(bytes/1e3) + " kB"
	}
	return digits(bytes/1e6) + " MB"
}

func digits(x float64) string {
	switch {
	case x < 10:
		return fmt.Sprintf("%.2f", x)
	case x < 100:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.0f", x)
}
