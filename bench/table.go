package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// table is printed in Markdown, for docs/benchmarks.md.
type table struct {
	title   string
	columns []string
	rows    [][]string
}

// add adds a row of texts and numbers; nil is nothing to tell.
func (t *table) add(cells ...any) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		switch cell := cell.(type) {
		case nil:
			row[i] = "–"
		case float64:
			row[i] = number(cell)
		default:
			row[i] = fmt.Sprint(cell)
		}
	}
	t.rows = append(t.rows, row)
}

// number has three digits that count.
func number(x float64) string {
	switch abs := math.Abs(x); {
	case abs >= 100 || x == math.Trunc(x):
		return strconv.FormatFloat(x, 'f', 0, 64)
	case abs >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'f', 2, 64)
}

// micro is a median in microseconds.
func micro(t times) float64 { return t.median() / 1000 }

func (t table) write(w io.Writer) {
	widths := make([]int, len(t.columns))
	rule := make([]string, len(t.columns))
	for i, column := range t.columns {
		widths[i] = utf8.RuneCountInString(column)
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		rule[i] = strings.Repeat("-", widths[i]-1) + ":"
	}
	rule[0] = strings.Repeat("-", widths[0])
	fmt.Fprintf(w, "### %s\n\n", t.title)
	for _, row := range append([][]string{t.columns, rule}, t.rows...) {
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				fmt.Fprintf(w, "| %s%s |", cell, pad)
			} else {
				fmt.Fprintf(w, " %s%s |", pad, cell)
			}
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
}
