"""Tables, figures and the report: a run as evidence that someone else can check."""
