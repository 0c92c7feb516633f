// Checks alert rules and queries as Prometheus reads them: rules by its own rulefmt, queries by its own parser.
//
//	rules_check alerts.yaml < queries, one a line
package main

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	wrong := 0
	queries := parser.NewParser(parser.Options{})
	for _, path := range os.Args[1:] {
		_, errs := rulefmt.ParseFile(path, false, model.UTF8Validation, queries, slog.Default())
		for _, err := range errs {
			fmt.Printf("%s: %v\n", path, err)
			wrong++
		}
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if _, err := queries.ParseExpr(lines.Text()); err != nil {
			fmt.Printf("%s: %v\n", lines.Text(), err)
			wrong++
		}
	}
	if wrong > 0 {
		os.Exit(1)
	}
}
