"""The response table of each form: the one asset that reads the store. All destinations are fed from it."""

import dagster as dg

responses = dg.AssetSpec(
    "responses",
    description=(
        "Every response of a form as a row of Parquet: a question is a column, typed by the question.\n\n"
        "Changes are found by following the MongoDB change stream; a commit holds rows and watermark together, so a "
        "crash at any moment loses nothing. **Materialise a partition** to read that form again from the store."
    ),
    kinds={"mongodb", "parquet"},
    owners=["team:data"],
    group_name="collect",
)
