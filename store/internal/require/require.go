// Package require has the checks that the tests of this module need, which depends on
// nothing.
package require

import (
	"cmp"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func fail(t testing.TB, about []any, format string, args ...any) {
	t.Helper()
	if len(about) > 0 {
		t.Log(about...)
	}
	t.Fatalf(format, args...)
}

// NoError fails the test for an error.
func NoError(t testing.TB, err error, about ...any) {
	t.Helper()
	if err != nil {
		fail(t, about, "the error %v", err)
	}
}

// ErrorIs fails the test unless err is target to errors.Is.
func ErrorIs(t testing.TB, err, target error, about ...any) {
	t.Helper()
	if !errors.Is(err, target) {
		fail(t, about, "the error is %v, not %v", err, target)
	}
}

// ErrorContains fails the test unless there is an error whose text contains the words.
func ErrorContains(t testing.TB, err error, words string, about ...any) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		fail(t, about, "the error is %v, without %q", err, words)
	}
}

// Equal fails the test unless both are deeply equal.
func Equal[T any](t testing.TB, want, got T, about ...any) {
	t.Helper()
	if !reflect.DeepEqual(want, got) {
		fail(t, about, "got %v, not %v", got, want)
	}
}

// Less fails the test unless a < b.
func Less[T cmp.Ordered](t testing.TB, a, b T, about ...any) {
	t.Helper()
	if !(a < b) {
		fail(t, about, "%v is not less than %v", a, b)
	}
}

// True fails the test unless it holds.
func True(t testing.TB, holds bool, about ...any) {
	t.Helper()
	if !holds {
		fail(t, about, "it does not hold")
	}
}

// Panics fails the test unless do panics, and gives what with.
func Panics(t testing.TB, do func(), about ...any) (value any) {
	t.Helper()
	defer func() {
		if value = recover(); value == nil {
			fail(t, about, "there was no panic")
		}
	}()
	do()
	return nil
}
