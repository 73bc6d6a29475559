package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// programTimeout is what all steps of a program may take.
const programTimeout = 3 * time.Minute

// command makes a program that is told the target, and whose user has a cache folder of
// the suite's.
func (s *suite) command(ctx context.Context, args []string) *exec.Cmd {
	told, _ := json.Marshal(s.target) // texts and numbers
	command := exec.CommandContext(ctx, args[0], args[1:]...)
	command.Env = append(os.Environ(), "E2E_TARGET="+string(told), "XDG_CACHE_HOME="+s.programs.folder)
	return command
}

// run runs a program, and reports the steps that it writes: {"name": …} for one that
// passed, {"name": …, "error": …} for one that failed.
func (s *suite) run(ctx context.Context, name string, args []string) error {
	limited, cancel := context.WithTimeout(ctx, programTimeout)
	defer cancel()
	command := s.command(limited, args)
	var errorOutput bytes.Buffer
	command.Stderr = &errorOutput
	output, err := command.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", name, err, &errorOutput)
	}
	steps := json.NewDecoder(bytes.NewReader(output))
	for n := 0; ; n++ {
		var step struct{ Name, Error string }
		switch end := steps.Decode(&step); {
		case end == io.EOF && n == 0 && err == nil:
			return fmt.Errorf("%s has reported no step", name)
		case end == io.EOF:
			return err
		case end != nil:
			return errors.Join(err, fmt.Errorf("%s writes what is no step: %w", name, end))
		}
		s.Step(ctx, name+" "+step.Name, func(context.Context) error { return failure(step.Error) })
	}
}

// failure is an error with a text, nil for "".
func failure(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}
