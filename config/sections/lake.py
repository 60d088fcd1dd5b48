"""Declare where the lake lies, and how often it is written and verified."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, SecretStr


class Lake(BaseModel):
    """Settings of the lake."""

    lake_catalog: Literal["jdbc", "rest"] = Field(
        default="jdbc", description="kind of the lake's catalog: jdbc (SQLite, PostgreSQL) or rest"
    )
    lake_catalog_uri: SecretStr = Field(
        default=SecretStr(""),
        description="sqlite:///FILE, postgresql://USER:PASSWORD@HOST/NAME or a REST catalog's URL; "
        "empty: in state_dir",
    )
    lake_catalog_credential: SecretStr = Field(
        default=SecretStr(""), description="CLIENT:SECRET of a REST catalog that asks for one"
    )
    lake_warehouse: str = Field(
        default="", description="where the lake's files lie: file:// or s3://; empty: in state_dir"
    )
    lake_commit_seconds: int = Field(
        default=60, ge=1, description="from one commit of the lake's job to the next"
    )
    lake_memory: str = Field(
        default="1GB", description="of a query or a mart's build; beyond it spills to state_dir"
    )
    verify_seconds: int = Field(
        default=300, ge=1, description="from one sample of verified feature vectors to the next"
    )
    verify_sample: int = Field(
        default=5, ge=1, description="logged feature vectors that are computed again each time"
    )
    lake_s3_endpoint: str = Field(
        default="", description="of S3-compatible storage that is not AWS"
    )
    lake_s3_region: str = Field(default="", description="of the lake's bucket")
    lake_s3_access_key: SecretStr = Field(
        default=SecretStr(""), description="id of the key to the lake's bucket"
    )
    lake_s3_secret_key: SecretStr = Field(
        default=SecretStr(""), description="the key to the lake's bucket"
    )
