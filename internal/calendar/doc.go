// Package calendar knows lengths of time as people mean them: a month is a month on the calendar, and a day is
// a day, even if it has 23 or 25 hours.
//
// A Span keeps years, months and days apart from hours and minutes. ParseSpan reads it, and String writes it in
// the form that ParseSpan reads. Before counts back from a time on the calendar of that time's zone: first
// years and months, staying within the month, then days, then hours and minutes. Retention rules, policies and
// commands all read lengths of time here, so that 30d means the same everywhere.
package calendar
