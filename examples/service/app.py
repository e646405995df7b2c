"""A web service that scores impressions with a persisted pipeline.

.. code-block:: console

   $ pip install "sk-finalmlp[service]" uvicorn
   $ MODEL=model.joblib OMP_NUM_THREADS=1 uvicorn --factory app:from_environment
"""

import os
from typing import Any

import joblib
import pandas as pd
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field
from sklearn.pipeline import Pipeline


class Request(BaseModel):
    """Impressions to score in one call, such as all candidates for one page."""

    impressions: list[dict[str, Any]] = Field(min_length=1, max_length=1_000)


class Response(BaseModel):
    """A click probability for each impression, and which columns each lacked."""

    probabilities: list[float]
    missing: list[list[str]]


def create_app(model: Pipeline) -> FastAPI:
    """The service around a fitted pipeline.

    A column that an impression lacks is taken as missing, and a value that the pipeline has never seen as unknown; both
    get a probability. A field that is no column of the model is refused: it is misspelt more often than not, and the
    column that it was meant for would be missing from then on.
    """
    app = FastAPI(title="Click probabilities")
    columns = list(model.feature_names_in_)

    @app.post("/score")
    def score(request: Request) -> Response:
        for impression in request.impressions:
            if unknown := impression.keys() - set(columns):
                raise HTTPException(422, f"No columns of the model: {sorted(unknown)}. Its columns are {columns}.")
        try:
            X = pd.DataFrame(request.impressions, columns=columns)
            probability = model.predict_proba(X)[:, 1]
        except (TypeError, ValueError) as error:
            # The encoder names the column and the value that it can't read.
            raise HTTPException(422, str(error)) from error
        missing = [[name for name in columns if name not in impression] for impression in request.impressions]
        return Response(probabilities=probability.tolist(), missing=missing)

    @app.get("/health")
    def health() -> dict[str, list[str]]:
        return {"columns": columns}

    return app


def from_environment() -> FastAPI:
    """The service around the pipeline in the file that the environment variable MODEL names."""
    return create_app(joblib.load(os.environ["MODEL"]))
