"""A web service for one policy: GET /policy tells what it takes and gives, POST /act gives actions."""

from __future__ import annotations

import os

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field
from served_policy import ServedPolicy


class Question(BaseModel):
    """Observations [B][O] of the machine, in the order that /policy tells."""

    observations: list[list[float]] = Field(min_length=1, max_length=1000)


def app() -> FastAPI:
    """The service for the policy in the file that POLICY names."""
    policy = ServedPolicy(os.environ["POLICY"])
    service = FastAPI(title="A policy of merpo")

    @service.get("/policy")
    def about() -> dict[str, object]:
        return policy.about()

    @service.post("/act")
    def act(question: Question) -> dict[str, list[list[float]]]:
        try:
            return {"actions": policy.actions(question.observations)}
        except ValueError as error:  # what is wrong with the question is told, and no action is given
            raise HTTPException(status_code=422, detail=str(error)) from None

    return service
